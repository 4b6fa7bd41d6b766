ROOMS = ()
