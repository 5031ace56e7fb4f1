"""`breezeway report`: what a log of requests says, for a terminal, a browser or a program.

`sources` cuts files into tasks, `lines` reads lines, `tally` counts them, `reading` has several processes
do that and adds up what they found, `summary` makes plain numbers of it, and `text` and `page` show those.
"""
