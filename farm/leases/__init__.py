"""Who holds which board, who waits for it, and which boards nobody may have."""
