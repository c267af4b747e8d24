"""What the machine offers: free memory, speed of passes, choice of AD mode. Imports runtime/cache."""
