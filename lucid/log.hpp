#pragma once
// The library's own messages. They go to stderr through spdlog under the name "lucid"; the environment
// variable LUCID_LOG (trace, debug, info, warn, error, off; default warn) sets the level.

#include <string_view>

namespace lucid::logging {

enum class Level { trace, debug, info, warn, error, off };

void set_level(Level level);
bool enabled(Level level);
void write(Level level, std::string_view message);

inline void debug(std::string_view message) { write(Level::debug, message); }
inline void info(std::string_view message) { write(Level::info, message); }
inline void warn(std::string_view message) { write(Level::warn, message); }

}  // namespace lucid::logging
