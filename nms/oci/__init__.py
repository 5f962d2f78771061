"""OCI images (image specification 1.1): what an archive says (`archive`), and what its layers make (`rootfs`).

`tar` reads the tar files of both.  An image comes from another domain: every digest is checked, everything is bounded,
and nothing is written but below the folder that was named.  Knows no driver and nothing of packages.
"""
