"""The web page: one file per tab, on top of `agent.session`; presentation only.

`app.py` puts the tabs together and serves them.
"""
