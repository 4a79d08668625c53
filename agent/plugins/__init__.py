"""Plug-ins from files and folders, tools in their own process, and the kit that checks tools."""
