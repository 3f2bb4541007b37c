"""REST, event stream and OpenAPI of the CSMS."""
