# Included by llama.cpp's own project() call: its command-line helper library is never used here,
# and leaving it out saves about a third of the compile time.
set(LLAMA_BUILD_COMMON OFF CACHE BOOL "" FORCE)
