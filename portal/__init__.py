"""The web portal: pages for clinics over the use cases. No rule and no permission is decided here."""
