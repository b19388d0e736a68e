# What the module and its sample take of Zephyr's build system, for this machine: the modules that the application names,
# CONFIG_ symbols from prj.conf, one library of a name, the application's target `app`.
project(Zephyr-Kernel C)
add_executable(app)
target_include_directories(app PRIVATE ${CMAKE_CURRENT_LIST_DIR}/include)

file(STRINGS ${CMAKE_CURRENT_SOURCE_DIR}/prj.conf settings REGEX "^CONFIG_")
foreach(setting ${settings})
  string(REPLACE "=" ";" parts ${setting})
  list(GET parts 0 symbol)
  list(GET parts 1 value)
  set(${symbol} ${value})
endforeach()

function(zephyr_include_directories)
  foreach(folder ${ARGN})
    target_include_directories(app PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/${folder})
  endforeach()
endfunction()

macro(zephyr_library_named name)
  set(ZEPHYR_CURRENT_LIBRARY ${name})
  add_library(${name} STATIC)
  target_link_libraries(app PRIVATE ${name})
endmacro()

function(zephyr_library_sources)
  target_sources(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
endfunction()

function(zephyr_library_compile_options)
  target_compile_options(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
endfunction()

foreach(module ${EXTRA_ZEPHYR_MODULES})
  get_filename_component(module ${module} ABSOLUTE)
  file(STRINGS ${module}/zephyr/module.yml folder REGEX "^  cmake: ")
  string(REPLACE "  cmake: " "" folder ${folder})
  get_filename_component(name ${module} NAME)
  add_subdirectory(${module}/${folder} ${CMAKE_BINARY_DIR}/modules/${name})
endforeach()
