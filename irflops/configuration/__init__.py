"""What the user adds to irflops: settings in a file, and rules in packages that are installed."""
