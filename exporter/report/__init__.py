"""The report: what a lake says of its sessions, as one page of HTML that needs nothing else.

Rows of the views are read by `questions`, joined to the parts of the page by `overview` and `session_part`, drawn by
`charts` and `lanes`, and put together by `page`. All but the reading and the writing of the file is pure.
"""
