"""Pages and reports, looked at in a headless Chromium: `chromium` drives it, `install` gets it.

`tests/conftest.py` has the fixture `chromium`; a test opens what it made and says `visit.assert_sound()`.
"""
