"""Photos and videos: what an uploaded file really is, and the clean copies of it that are shown.

`examine` is the way in. It has photos rendered (`photos`, with Pillow, through `decoder`) and videos read (`videos`, with ffmpeg)
in processes of their own with limits; `containers` reads what a file says of itself.
"""
