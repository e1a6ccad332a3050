"""The second stage: other models' candidates, put into order by boosted trees."""
