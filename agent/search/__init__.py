"""Search and questions over many videos, and a folder that is watched for new ones."""
