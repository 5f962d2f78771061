"""What a model author asks about YANG modules, any YANG: is it valid, what does it cost, whom does a change break."""
