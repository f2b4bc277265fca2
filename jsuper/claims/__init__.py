"""The sources' claims, decided: sentence, sweep, statistic, margin, verdict.

A claim is data (`claim.Claim`). Its statistic takes analysed sweeps and returns one number per seed
for each of its parts; its rules hold the margins, which are fixed here before anything is trained;
`judging.judge` compares the two, with Holm's correction over the whole table. `sweeps` has what is
trained, shared between the claims, `sources` the claims by source, `page` what is written.
"""
