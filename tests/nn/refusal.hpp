#pragma once

#include <string>

#include "lucid/error.hpp"

namespace lucid {

/// What f() throws, or "accepted".
template <class F>
std::string refusal(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace lucid
