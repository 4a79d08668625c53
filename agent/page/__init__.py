"""The page: one file for each tab, on top of `agent.session`; nothing is reasoned here.

`app.py` puts the tabs together and serves them.
"""
