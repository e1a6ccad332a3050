"""Looking at the loop: do data and lists still look as they did, and what becomes of them?"""
