"""What has to be done now and then while a run goes on: lock, days, free space, memory, a watch on the loop."""
