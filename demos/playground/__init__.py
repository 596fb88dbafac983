"""The Playground: trained networks answer stories that somebody writes, in the dashboard and by REST."""
