"""Wake-ups for durable work: the rows are the truth, a job only says that one of them wants looking at."""
