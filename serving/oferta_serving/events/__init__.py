"""Events in: what senders may say, and what becomes of it before a consumer sees it."""
