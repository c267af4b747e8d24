"""Attribution methods, one file each. Imports runtime/{attribution,relevance,passes} and below."""
