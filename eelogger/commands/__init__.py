"""Everything on the command line beside the run itself, a module each; `dispatch` leads to them."""
