"""What the machine did while a stage ran: CPU, memory, disk, network and GPU, sampled at a low cost."""
