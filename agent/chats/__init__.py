"""Chats: questions that follow one another, kept by LangGraph's checkpointer, one thread a chat."""
