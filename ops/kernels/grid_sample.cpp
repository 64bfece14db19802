#include "ops/kernels/grid_sample.hpp"

#include <cstring>
#include <vector>

#include "ops/kernels/grid_corners.hpp"
#include "ops/kernels/lanes.hpp"
#include "ops/kernels/layout.hpp"
#include "ops/kernels/volume.hpp"

namespace lucid::kernels {
namespace {

using namespace grid;

template <GridSampleMode kMode, class A, int kSets>
LUCID_VECTORIZED void list_block(Corners<A, kSets>* out, const Problem& problem, const Block& block,
                                 Rows rows) {
  const Frame frame = problem.frame;
  for (Index i = 0; i < block.count; ++i)
    list_corners<kMode>(out[i], frame, problem.coordinates.at(block.begin + i), rows);
}

// Lists what the places of a block read.
template <class A, int kSets>
void list_block(Corners<A, kSets>* out, const Problem& problem, const Block& block, Rows rows) {
  switch (problem.frame.mode) {
    case GridSampleMode::bilinear: return list_block<GridSampleMode::bilinear>(out, problem, block, rows);
    case GridSampleMode::nearest: return list_block<GridSampleMode::nearest>(out, problem, block, rows);
    case GridSampleMode::bicubic: return list_block<GridSampleMode::bicubic>(out, problem, block, rows);
  }
}

// Channels that are taken at a time, in registers of up to Bytes; what is left goes by kFew, then one by one.
constexpr int kMany = 16, kFew = 4;
template <class A, int Bytes, int kCount>
using Channels = Lanes<A, std::min<int>(Bytes, kCount * sizeof(A)), kCount>;

template <class A, int Bytes, int kCount, class T>
[[gnu::always_inline]] inline void store(const Lanes<A, Bytes, kCount>& from, T* out) {
  if constexpr (std::is_same_v<T, A>)
    from.store(out);
  else
    for (int i = 0; i < kCount; ++i) out[i] = static_cast<T>(from[i]);
}

// out (count, channels): each place's weighted sum of elements of x.
struct GatherBlock {
  template <int Bytes, class T, class A>
  [[gnu::always_inline]] static void run(T* out, const T* x, const Corners<A, 1>* corners, Index count,
                                         Index channels) {
    for (Index i = 0; i < count; ++i, out += channels) {
      Index c = gather<Channels<A, Bytes, kMany>, kMany>(out, x, corners[i], 0, channels);
      c = gather<Channels<A, Bytes, kFew>, kFew>(out, x, corners[i], c, channels);
      for (; c < channels; ++c) {
        A sum = 0;
        for (int k = 0; k < corners[i].count; ++k)
          sum += corners[i].weight[0][k] * static_cast<A>(x[corners[i].offset[k] + c]);
        out[c] = static_cast<T>(sum);
      }
    }
  }

 private:
  // Channels from c on, kCount at a time; returns the first one left.
  template <class V, int kCount, class T, class A>
  [[gnu::always_inline]] static Index gather(T* out, const T* x, const Corners<A, 1>& corners, Index c,
                                             Index channels) {
    for (; c + kCount <= channels; c += kCount) {
      V sum, value;
      for (int k = 0; k < corners.count; ++k) {
        value.load(x + corners.offset[k] + c);
        sum.add_product(corners.weight[0][k], value);
      }
      store(sum, out + c);
    }
    return c;
  }
};

// out (count, components): the sums over channels of grad (count, channels) times each place's slopes.
struct SlopeBlock {
  template <int Bytes, class G, class T, class A>
  [[gnu::always_inline]] static void run(G* out, const T* grad, const T* x, const Corners<A, 3>* corners,
                                         Index count, Index channels, Index components) {
    for (Index i = 0; i < count; ++i, out += components, grad += channels) {
      A sums[3] = {};
      Index c = add_slopes<Channels<A, Bytes, kMany>, kMany>(sums, grad, x, corners[i], 0, channels);
      c = add_slopes<Channels<A, Bytes, kFew>, kFew>(sums, grad, x, corners[i], c, channels);
      for (; c < channels; ++c)
        for (int k = 0; k < corners[i].count; ++k) {
          const A product = static_cast<A>(grad[c]) * static_cast<A>(x[corners[i].offset[k] + c]);
          for (int s = 0; s < 3; ++s) sums[s] += corners[i].weight[s][k] * product;
        }
      for (Index s = 0; s < components; ++s) out[s] = static_cast<G>(sums[s]);
    }
  }

 private:
  template <class V, int kCount, class A, class T>
  [[gnu::always_inline]] static Index add_slopes(A* sums, const T* grad, const T* x,
                                                 const Corners<A, 3>& corners, Index c, Index channels) {
    if (c + kCount > channels) return c;
    V sum[3], g, value;
    for (; c + kCount <= channels; c += kCount) {
      g.load(grad + c);
      for (int k = 0; k < corners.count; ++k) {
        value.load(x + corners.offset[k] + c);
        value *= g;
        for (int s = 0; s < 3; ++s) sum[s].add_product(corners.weight[s][k], value);
      }
    }
    for (int s = 0; s < 3; ++s)
      for (int i = 0; i < kCount; ++i) sums[s] += sum[s][i];
    return c;
  }
};

// Adds grad (count, channels) to the elements of `sums` that each place reads.
template <class S, class T>
LUCID_VECTORIZED void scatter_block(S* __restrict__ sums, const T* __restrict__ grad,
                                    const Corners<S, 1>* corners, Index count, Index channels) {
  for (Index i = 0; i < count; ++i, grad += channels)
    for (int k = 0; k < corners[i].count; ++k) {
      S* to = sums + corners[i].offset[k];
      const S weight = corners[i].weight[0][k];
      for (Index c = 0; c < channels; ++c) to[c] += weight * static_cast<S>(static_cast<Compute<T>>(grad[c]));
    }
}

template <GridSampleMode kMode>
LUCID_VECTORIZED Rows rows_of_block(const Problem& problem, const Block& block) {
  const Frame frame = problem.frame;
  Rows rows{problem.rows, 0};
  for (Index i = 0; i < block.count; ++i) {
    const auto coordinates = problem.coordinates.at(block.begin + i);
    const auto ys = frame.axes[1].locate<kMode>(coordinates[1]);
    const auto zs = frame.axes[2].locate<depth_mode(kMode)>(coordinates[2]);
    for (const Index z : zs.index)
      for (const Index y : ys.index) {
        if (z < 0 || y < 0) continue;
        const Index row = z * frame.axes[1].size + y;
        rows = {std::min(rows.first, row), std::max(rows.end, row + 1)};
      }
  }
  return rows;
}

// The rows of the sample that a block reads.
Rows rows_of_block(const Problem& problem, const Block& block) {
  switch (problem.frame.mode) {
    case GridSampleMode::bilinear: return rows_of_block<GridSampleMode::bilinear>(problem, block);
    case GridSampleMode::nearest: return rows_of_block<GridSampleMode::nearest>(problem, block);
    case GridSampleMode::bicubic: break;
  }
  return rows_of_block<GridSampleMode::bicubic>(problem, block);
}

// The rows of the whole input that each block reads; empty where it reads none.
std::vector<Rows> rows_of_blocks(const Problem& problem) {
  std::vector<Rows> out(static_cast<std::size_t>(problem.batch * problem.blocks));
  parallel_for(problem.batch * problem.blocks, problem.grain(), [&](Index first, Index end) {
    for (Index number = first; number < end; ++number) {
      const Block block(problem, number);
      const Rows rows = rows_of_block(problem, block);
      const Index base = block.n * problem.rows;
      out[static_cast<std::size_t>(number)] = {base + rows.first, base + rows.end};
    }
  });
  return out;
}

// The input's rows in `parts` runs that about as many places read, so that each thread has a share.
std::vector<Rows> equal_shares(const std::vector<Rows>& blocks, Index rows, Index parts) {
  std::vector<Index> load(static_cast<std::size_t>(rows), 0);
  Index total = 0;
  for (const Rows& block : blocks)
    if (block.first < block.end) {
      ++load[static_cast<std::size_t>((block.first + block.end) / 2)];
      ++total;
    }
  std::vector<Rows> out;
  Index first = 0, sum = 0;
  for (Index row = 0; row < rows; ++row) {
    sum += load[static_cast<std::size_t>(row)];
    const Index wanted = total * (static_cast<Index>(out.size()) + 1) / parts;
    if (sum >= wanted && static_cast<Index>(out.size()) + 1 < parts) {
      out.push_back({first, row + 1});
      first = row + 1;
    }
  }
  out.push_back({first, rows});
  return out;
}

// What the rows of `share` receive, from all blocks in order.
template <class S, class T>
void scatter_share(S* sums, const T* grad, const Problem& problem, const std::vector<Rows>& blocks,
                   Rows share) {
  std::vector<Corners<S, 1>> corners(kBlock);
  for (std::size_t number = 0; number < blocks.size(); ++number) {
    if (blocks[number].first >= share.end || blocks[number].end <= share.first) continue;
    const Block block(problem, static_cast<Index>(number));
    const Index base = block.n * problem.rows;
    list_block(corners.data(), problem, block, {share.first - base, share.end - base});
    scatter_block(sums + block.n * problem.elements, grad + block.begin * problem.channels, corners.data(),
                  block.count, problem.channels);
  }
}

}  // namespace

Tensor grid_sample(const Tensor& given, const Tensor& grid, const GridSampling& sampling) {
  const Shape& s = given.shape();
  const Tensor out =
      empty_volume({s[0], s[1], grid.shape()[1], grid.shape()[2], grid.shape()[3]}, given.dtype(), true);
  if (out.numel() == 0) return arranged_as(out, given);
  const Tensor input = arranged(given, true);
  const Problem problem(s, grid, sampling);
  dispatch_floating("grid_sample", input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* y = out.data_to_write<T>();
    const T* x = input.data<T>();
    parallel_for(problem.batch * problem.blocks, problem.grain(), [&](Index first, Index end) {
      std::vector<Corners<Compute<T>, 1>> corners(kBlock);
      for (Index number = first; number < end; ++number) {
        const Block block(problem, number);
        list_block(corners.data(), problem, block, {0, problem.rows});
        run_for_registers<GatherBlock>(y + block.begin * problem.channels, x + block.n * problem.elements,
                                       corners.data(), block.count, problem.channels);
      }
    });
  });
  return arranged_as(out, given);
}

Tensor grid_sample_adjoint(const Tensor& given, const Tensor& grid, const Shape& shape,
                           const GridSampling& sampling) {
  const Tensor sums = empty_volume(shape, f64, true);
  zero_bytes(sums);
  const Tensor grad = arranged(given, true);
  const Problem problem(shape, grid, sampling);
  if (grad.numel() != 0) {
    const std::vector<Rows> blocks = rows_of_blocks(problem);
    const auto shares = equal_shares(blocks, problem.batch * problem.rows, num_threads());
    dispatch_floating("grid_sample", grad.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      double* to = sums.data_to_write<double>();
      const T* from = grad.data<T>();
      parallel_for(static_cast<Index>(shares.size()), 1, [&](Index first, Index end) {
        for (Index i = first; i < end; ++i)
          scatter_share(to, from, problem, blocks, shares[static_cast<std::size_t>(i)]);
      });
    });
  }
  if (given.dtype() == f64) return arranged_as(sums, given);
  const Tensor out = empty_volume(shape, given.dtype(), channels_innermost(given));
  copy(out, sums);
  return out;
}

Tensor grid_sample_slope(const Tensor& given_grad, const Tensor& given_input, const Tensor& grid,
                         const GridSampling& sampling) {
  const Tensor input = arranged(given_input, true), grad = arranged(given_grad, true);
  const Problem problem(input.shape(), grid, sampling);
  const Tensor out = empty(grid.shape(), problem.coordinates.dtype());
  if (out.numel() == 0) return out;
  dispatch_floating("grid_sample", input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using A = Compute<T>;
    const T *g = grad.data<T>(), *x = input.data<T>();
    const Index components = problem.coordinates.components;
    const auto run = [&](auto* to) {
      parallel_for(problem.batch * problem.blocks, problem.grain(), [&](Index first, Index end) {
        std::vector<Corners<A, 3>> corners(kBlock);
        for (Index number = first; number < end; ++number) {
          const Block block(problem, number);
          list_block(corners.data(), problem, block, {0, problem.rows});
          run_for_registers<SlopeBlock>(to + block.begin * components, g + block.begin * problem.channels,
                                        x + block.n * problem.elements, corners.data(), block.count,
                                        problem.channels, components);
        }
      });
    };
    if (out.dtype() == f64)
      run(out.data_to_write<double>());
    else
      run(out.data_to_write<float>());
  });
  return out;
}

}  // namespace lucid::kernels
