"""Speech models that text corrects (Alqurashi et al. 2024): rows, trainings, analyses."""
