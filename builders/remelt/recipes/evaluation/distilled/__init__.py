"""What `systems.distilled_avd` is made of: its options, rows, training and analyses."""
