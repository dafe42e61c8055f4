"""PDF, over PDFium."""
