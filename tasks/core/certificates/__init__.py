"""Pure certificate work: keys, requests, signing, verification as the API server does it, diagnosis."""
