"""Chats: follow-up questions, stored by LangGraph's checkpointer, one thread per chat."""
