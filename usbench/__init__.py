"""usbench."""
