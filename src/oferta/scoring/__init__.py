"""What serving needs of a model: arrays, live scorers, top-k. numpy only."""
