"""Plug-ins from files and folders, tools in a process of their own, and the kit that checks tools."""
