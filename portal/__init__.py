"""The web portal: pages for clinics over the API's own functions. No rule and no permission is decided here."""
