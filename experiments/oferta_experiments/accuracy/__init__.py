"""The accuracy table: a study per published protocol, and which bars its best variant reaches."""
