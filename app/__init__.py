"""SRE Agent: the colleague in Slack that answers from a service's own documents."""
