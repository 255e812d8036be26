"""Photos, videos and documents: what an uploaded file really is, and the clean copies of it that are shown.

`examine` is the way in. It has photos (`photos`, with Pillow) and documents (`documents`, with PDFium) drawn through `decoder`,
and videos read (`videos`, with ffmpeg), in processes of their own with limits; `containers`, `heif` and `jpegs` read what a file
says of itself.
"""
