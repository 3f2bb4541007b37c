"""Between those who hold sockets and those who ask."""
