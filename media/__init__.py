"""Photos and videos: what an uploaded file really is, and the clean copies of it that are shown.

`examine` is the way in; `photos` renders pictures with Pillow, `videos` runs ffmpeg in a limited process of its own.
"""
