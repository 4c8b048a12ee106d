"""All that is known of one operator."""
