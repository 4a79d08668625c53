"""Training-free detection: is a clip AI-generated, or any other question that a task file asks.

After LAVID (arXiv 2502.14994v1): measurement tools make explicit knowledge, a frozen vision model
judges it in a typed reply, tools are selected for each model, and the prompt rewrites itself. The
formulas of selection and rewriting are our own, for the paper's text was not available to us.

    task (YAML) + prompt (versioned) + kit (selected tools) -> graph -> Detection -> report
"""
