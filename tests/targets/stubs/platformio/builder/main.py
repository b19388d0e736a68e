"""What PlatformIO's SCons runs for the platform `native`: this machine's compiler."""

from SCons.Script import Default, DefaultEnvironment

env = DefaultEnvironment()
env.Replace(CC="gcc", CXX="g++", AR="ar", AS="gcc", RANLIB="ranlib", LINK="g++", PROGNAME="program")
Default(env.BuildProgram())
