"""What is heard in the clips: measures, transcripts and their errors, words to label."""
