"""What a measured pipeline would do in another configuration, by discrete-event simulation."""
