"""What the machine offers: free memory, speed of passes, choice between forward and reverse mode."""
