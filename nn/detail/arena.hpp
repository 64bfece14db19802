#pragma once
// Where each value of a graph lies in one block of memory, so that values whose lives don't meet share
// places.

#include "nn/detail/graph.hpp"

namespace lucid::nn::plan {

/// Where a value lies.
struct Place {
  enum class Where : std::uint8_t {
    nowhere,  ///< the op that computes it allocates, or it is the input, a constant, a view
    arena,    ///< `offset` elements into it
    result    ///< the block of the net's result, which outlives the call
  };
  Where where = Where::nowhere;
  std::int64_t offset = 0;
};

struct Arena {
  std::vector<Place> places;  ///< one for each value
  std::int64_t elements = 0;  ///< float32
};

/// Every result of a node that is not of Kind::call gets a place. A node that may write over its input, or
/// has to, does so where nobody reads the input afterwards.
Arena lay_out(const Graph& graph);

}  // namespace lucid::nn::plan
